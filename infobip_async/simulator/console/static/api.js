// The API of the simulator, as /_simulator/openapi.json describes it.

const said = document.getElementById("said");
let clearing;

/** Say something that went wrong, for some seconds. */
export function say(text) {
  said.textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => { said.textContent = ""; }, 8000);
}

async function answer(request) {
  const reply = await request;
  const value = await reply.json();
  if (!reply.ok) throw new Error(value.error);
  return value;
}

/** Ask for something; null and empty values are left out of the query. */
export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== "");
  const words = new URLSearchParams(given).toString();
  return answer(fetch(words ? `${path}?${words}` : path));
}

/** Have something done; what went wrong is said, and the answer is null. */
export async function act(method, path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  try {
    return await answer(fetch(path, { method, headers, body: JSON.stringify(body) }));
  } catch (error) {
    say(error.message);
    return null;
  }
}
