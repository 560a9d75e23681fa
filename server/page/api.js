// The server's API: JSON in, JSON out; what it refuses is an Error with its words.

const GET_MS = 30000;
const LONGEST_PAUSE_MS = 15000;

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the server answered with status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

export async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      // On a line that has gone silent an answer would be waited for for ever.
      signal: method === "GET" ? AbortSignal.timeout(GET_MS) : undefined,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, { detail: "The server does not answer. Is it running, and the network up? Try again in a moment." });
  }
  if (response.status === 401) {
    location.assign("login");
  }
  const text = await response.text();
  let data = {};
  try {
    data = text ? JSON.parse(text) : {};
  } catch {
    data = {};
  }
  if (!response.ok) throw new Refused(response.status, data);
  return data;
}

export const get = (path) => call("GET", path);

/** As `get`, of what there is no page without: asked for again until the server answers. */
export async function getAtLast(path) {
  for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await get(path);
    } catch (error) {
      if (error.status > 0 && error.status < 500) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

export const post = (path, body = {}) => call("POST", path, body);
export const remove = (taskId) => call("DELETE", `api/tasks/${taskId}`);

/** The remedy with what the server says of the state: what is allowed instead. */
export function explained(error) {
  const { problem } = error;
  if (!problem || !Array.isArray(problem.allowed) || error.message.includes("allowed")) return error.message;
  const allowed = problem.allowed.map((event) => event.replaceAll("_", " ")).join(", ");
  return `${error.message}. In this state is allowed: ${allowed || "nothing"}.`;
}
