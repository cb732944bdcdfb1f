// Requests to the server that this page came from, and to nobody else.

/** What went wrong, in words for people; `wait`: seconds after which it is worth another try, if the server says so. */
export class Problem extends Error {
  constructor(message, status = 0, wait = null) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

const WORDS = {
  408: "The picture took too long to arrive. Try a smaller one.",
  413: "The picture is too large for this server. Try a smaller one.",
  429: "The server is busy.",
  503: "The server is ending. Try again in a moment.",
  504: "There was no answer in time. Try again in a moment.",
};

export function keep(key) {
  sessionStorage.setItem("lion-key", key);
}

/** JSON of a route; `body` makes it a POST. Throws a Problem, or an AbortError where `signal` ends it. */
export async function call(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem("lion-key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server cannot be reached. Is it still running?");
  }
  const found = await response.json().catch(() => null);
  if (response.ok && found) return found;
  const said = found?.error?.message;
  const wait = response.headers.get("Retry-After");
  throw new Problem(sentence(WORDS[response.status], said, response.status), response.status, wait && Number(wait));
}

/** The page's words, and in brackets the server's; of a mistake in the request the server's alone. */
function sentence(words, said, status) {
  if (!words) return said ? said[0].toUpperCase() + said.slice(1) : `The server failed (${status}).`;
  return said ? `${words} (${said})` : words;
}
