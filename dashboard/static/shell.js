// On every page: night or day. The choice is a cookie, so that the next page is painted right at once.

const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

document.getElementById("theme")?.addEventListener("click", () => {
  const isDark = root.dataset.theme === "auto" ? prefersDark.matches : root.dataset.theme === "dark";
  root.dataset.theme = isDark ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  announce();
});
prefersDark.addEventListener("change", announce);

// On a phone the navigation is wider than the screen: show where we are.
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

function announce() {
  document.dispatchEvent(new Event("theme"));
}
