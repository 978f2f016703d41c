// Keeps a page of the server current: its refreshed part is asked for again and put in place of the old one.

const PERIOD_S = 10;

async function refresh() {
  const shown = document.getElementById("refreshed");
  if (document.hidden || shown.contains(document.activeElement)) return;
  const fresh = await ask();
  if (fresh) shown.replaceWith(fresh);
  else document.getElementById("stale").hidden = false;
}

async function ask() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected) location.reload(); // the session is over
    return new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("refreshed");
  } catch {
    return null; // the hub does not answer
  }
}

setInterval(refresh, 1000 * (document.getElementById("refreshed").dataset.everyS ?? PERIOD_S));
document.addEventListener("visibilitychange", refresh);
