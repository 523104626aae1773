// Which page an address means. The server knows the same addresses.

/** @param {string} path @returns {import("./types").Route} */
export function readRoute(path) {
  if (path === "/") return { page: "projects", id: "" };
  const own = /^\/project\/([^/]+)\/(classify|statistics)\/?$/.exec(path);
  if (own) return { page: /** @type {"classify" | "statistics"} */ (own[2]), id: decodeURIComponent(own[1]) };
  const data = /^\/data(?:\/([^/]+))?\/?$/.exec(path);
  if (data) return { page: "data", id: decodeURIComponent(data[1] ?? "") };
  const found = /^\/(project|join)\/([^/]+)\/?$/.exec(path);
  if (!found) return { page: "unknown", id: "" };
  return { page: /** @type {"project" | "join"} */ (found[1]), id: decodeURIComponent(found[2]) };
}
