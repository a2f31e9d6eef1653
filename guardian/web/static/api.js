// Asks the server for something in the name of whoever is signed in.

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<{ok: boolean, status: number, data: any}>} data: what was answered, a problem document
 *   with `detail` when not ok; status 0 when the server could not be reached.
 */
export async function ask(method, path, body) {
  const headers = { "X-CSRF-Token": token };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    return { ok: answer.ok, status: answer.status, data: text ? JSON.parse(text) : null };
  } catch (error) {
    return { ok: false, status: 0, data: { detail: String(error.message ?? error) } };
  }
}
