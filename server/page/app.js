// Puts the page together: one store, four views, of which one is shown (with the machine beside it).

import { getAtLast } from "./api.js";
import { Add } from "./add.js";
import { announce, h, notice } from "./dom.js";
import { Machine, history } from "./machine.js";
import { Scan } from "./scan.js";
import { Store, about } from "./store.js";
import { Tasks } from "./tasks.js";

const VIEWS = ["add", "tasks", "machine", "scan"];
const element = (id) => document.getElementById(id);

const config = await getAtLast("page/config.json");
const store = new Store();
const picture = h("div", { class: "picture" });
const walked = h("div", { class: "walked" });
const machineView = element("view-machine");
machineView.append(h("h1", { id: "machine-title" }, "The machine, live"), h("p", { class: "faint" }, "Every state that a task can be in, and every way between them. A dot is a task; a click on a state lists its tasks, one on a dot marks its way."), walked, picture);

const machine = new Machine(store, picture, { onState: listed, onTask: shown });
const tasks = new Tasks(store, element("view-tasks"), { music: config.music, onSelect: marked });
new Add(store, element("view-add"), { music: config.music });
if (config.music) new Scan(store, element("view-scan"));
else document.querySelector('[data-view="scan"]').hidden = true;
if (config.token) {
  document.querySelector("header").append(h("form", { method: "post", action: "logout", class: "logout" }, h("button", { class: "quiet" }, "Log out")));
}

function listed(state) {
  location.hash = "#tasks";
  tasks.filter(state);
  element("content").focus(); // what was pressed is out of sight
}

function shown(id) {
  tasks.select(id, false);
  location.hash = "#machine";
}

function marked(view) {
  // News of the same task leave its list as it is.
  const isOpen = view !== null && machine.marked?.id === view.id && walked.querySelector("details")?.open;
  const hadFocus = walked.querySelector("summary") === document.activeElement;
  machine.mark(view);
  walked.replaceChildren(...(view === null ? [] : [
    h("div", { class: "card" },
      h("div", { class: "heading" }, h("h2", {}, "The way of ", about(view)), h("button", { type: "button", class: "quiet", "aria-label": "Mark no way", onclick: () => tasks.select(null) }, "✕")),
      h("details", { open: isOpen }, h("summary", {}, "As a list, with what was said"), history(view))),
  ]));
  if (hadFocus) walked.querySelector("summary")?.focus({ preventScroll: true });
}

function route() {
  const view = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "add";
  for (const name of VIEWS) {
    const section = element(`view-${name}`);
    if (name === view && section.hidden) scrollTo(0, 0); // not as far down as the one before
    section.hidden = name !== view;
    const link = document.querySelector(`nav [data-view="${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${document.querySelector(`nav [data-view="${view}"]`).firstChild.textContent.trim()} · musictasks`;
}

function connected() {
  const place = element("connection");
  place.className = store.online ? "online" : "offline";
  place.textContent = store.online ? "connected" : "reconnecting…";
  if (!store.online) announce("The server does not answer; trying again");
}

let counting = 0;
function counted() {
  counting ||= requestAnimationFrame(() => {
    counting = 0;
    element("task-count").textContent = store.tasks.size ? store.tasks.size.toLocaleString("en") : "";
  });
}

addEventListener("hashchange", route);
// The hash of the address is the view's: as a link it would lead to another one.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  element("content").focus();
});
store.addEventListener("connection", connected);
store.addEventListener("reset", counted);
store.addEventListener("task", counted);
route();
connected();
try {
  await store.open();
  tasks.open();
  await machine.open();
} catch (error) {
  notice(error.message);
}
document.body.dataset.ready = "true";
