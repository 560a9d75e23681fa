// Where an upload goes: what its tags say, to be changed, and one button.

import { explained, get, post } from "./api.js";
import { announce, h } from "./dom.js";
import { isSong } from "./sorting.js";

let forms = 0;

const FIELDS = {
  album: ["artist", "album", "year"],
  albumfile: ["artist", "album", "year", "track", "name"],
  video: ["artist", "year", "name"],
  artwork: ["target"],
};
/** Of a file that is no song. */
const BESIDE = ["artist", "album", "year", "name"];
const LABELS = { artist: "Artist", album: "Album", year: "Year", track: "Track", name: "Title", target: "Album or video it is for" };

/** What the server proposes for a task, with what a person says. */
export function proposal(taskId, given = {}) {
  const query = new URLSearchParams({ task: taskId });
  for (const [name, value] of Object.entries(given)) if (value) query.set(name, value);
  return get(`api/library/targets?${query}`);
}

/** Brings a task to a target and, if that has songs, into the database, with artwork. */
export function integrate(view, target) {
  const { contenttype } = view.task;
  const whole = contenttype !== "albumfile" || isSong(target);
  return post(`api/tasks/${view.id}/integration`, contenttype === "artwork" ? { target } : { target, then_import: whole, then_artwork: whole });
}

/** A form that shows the place and changes it. */
export function targetForm(view, given = {}) {
  const id = `target-${(forms += 1)}`;
  const { contenttype, preprocessedpath, uploadpath } = view.task;
  const isBeside = contenttype === "albumfile" && !isSong(preprocessedpath ?? uploadpath ?? "");
  const inputs = Object.fromEntries((isBeside ? BESIDE : (FIELDS[contenttype] ?? [])).map((name) => [name, h("input", { id: `${id}-${name}`, value: given[name] ?? "", inputMode: ["year", "track"].includes(name) ? "numeric" : "text", maxLength: ["year", "track"].includes(name) ? 4 : 500, oninput: later })]));
  const place = h("p", { class: "place", role: "status" }, "Looking at its tags…");
  const button = h("button", { class: "primary", disabled: true }, "Bring it in");
  let target = null, timer = 0, asked = 0, filled = false;

  /** Until it is known where that leads, it goes nowhere: not to the place of what stood there. */
  function later() {
    target = null;
    button.disabled = true;
    asked += 1;
    clearTimeout(timer);
    timer = setTimeout(look, 250);
  }

  async function look() {
    const mine = (asked += 1);
    try {
      const said = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]));
      const found = await proposal(view.id, said);
      if (mine !== asked) return;
      if (!filled) {
        for (const [name, input] of Object.entries(inputs)) input.value ||= found[{ name: "title", track: "number" }[name] ?? name] ?? "";
        filled = true;
      }
      target = found.usable ? found.target : null;
      place.className = found.usable ? "place" : "place bad";
      place.replaceChildren(...(found.usable ? ["Goes to ", h("b", {}, found.target)] : [found.reason ?? "Say where it goes."]));
    } catch (error) {
      if (mine !== asked) return;
      target = null;
      place.className = "place bad";
      place.textContent = explained(error);
    }
    button.disabled = target === null;
  }

  const form = h(
    "form",
    {
      class: "target",
      onsubmit: async (event) => {
        event.preventDefault();
        if (target === null) return;
        button.disabled = true;
        try {
          await integrate(view, target);
          announce("It is brought in");
        } catch (error) {
          place.className = "place bad";
          place.textContent = explained(error);
          button.disabled = false;
        }
      },
    },
    h("div", { class: "fields" }, Object.entries(inputs).map(([name, input]) => h("div", { class: name }, h("label", { for: input.id }, isBeside && name === "name" ? "Name" : LABELS[name]), input))),
    place,
    button,
  );
  look();
  return form;
}
