// Colours live in page.css; whatever draws on a canvas asks for them here.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** A custom property as a CSS colour that canvas and WebGL understand, in the present theme. */
export function colour(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** The same as red, green, blue from 0 to 1. */
export function rgb(name) {
  return colour(name).match(/[\d.]+/g).slice(0, 3).map((part) => part / 255);
}
