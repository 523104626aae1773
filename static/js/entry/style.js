// The style of a page that is loaded when it is first opened: the project's page does without it.

/** Load a style once, and wait for it. @param {string} href */
export async function styled(href) {
  if (document.querySelector(`link[href="${href}"]`)) return;
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  await new Promise((resolve, reject) => {
    link.addEventListener("load", resolve);
    link.addEventListener("error", reject);
    document.head.append(link);
  });
}
