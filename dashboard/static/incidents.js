// The list of open incidents: grouped by priority, kept current without redrawing what did not change.

import { _, duration, ngettext, number, since } from "./texts.js";

const SHOWN = 100;

const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null));
  return element;
};

export class IncidentList extends EventTarget {
  #cards = new Map();
  #groups = new Map();

  constructor(container, counter) {
    super();
    this.container = container;
    this.counter = counter;
    container.addEventListener("click", (event) => this.#clicked(event));
  }

  get(no) {
    return this.#cards.get(no);
  }

  replace(cards) {
    this.#cards = new Map(cards.map((card) => [card.no, card]));
    this.container.replaceChildren();
    this.#groups.clear();
    this.#draw();
  }

  update(card) {
    const isNew = !this.#cards.has(card.no);
    if (card.state === "closed") this.#cards.delete(card.no);
    else this.#cards.set(card.no, card);
    this.#draw();
    if (isNew && card.state !== "closed") this.container.querySelector(`[data-no="${card.no}"]`)?.classList.add("fresh");
  }

  /** Rewrite how long each has lasted. */
  age(nowUs) {
    this.nowUs = nowUs;
    for (const time of this.container.querySelectorAll("time[data-us]")) {
      const us = Number(time.dataset.us);
      time.textContent = _("since {at}, {duration}", { at: since(us, nowUs), duration: duration(nowUs - us) });
    }
  }

  #draw() {
    const all = [...this.#cards.values()].sort((a, b) => a.priority - b.priority || b.since_us - a.since_us);
    this.counter.textContent = number(all.length);
    if (all.length === 0) {
      this.container.replaceChildren(make("p", "calm", _("No open incident. The city is calm.")));
      this.#groups.clear();
      return;
    }
    if (this.#groups.size === 0) this.container.replaceChildren();
    for (const priority of [1, 2, 3]) this.#drawGroup(priority, all.filter((card) => card.priority === priority));
    if (this.nowUs) this.age(this.nowUs);
  }

  #drawGroup(priority, cards) {
    if (!this.#groups.has(priority)) this.#makeGroup(priority);
    const group = this.#groups.get(priority);
    group.element.hidden = cards.length === 0;
    group.count.textContent = number(cards.length);
    group.more.hidden = cards.length <= SHOWN;
    group.more.textContent = ngettext("{n} more", "{n} more", cards.length - SHOWN);
    const kept = new Map([...group.list.children].map((item) => [item.dataset.key, item]));
    const items = cards.slice(0, SHOWN).map((card) => kept.get(JSON.stringify(card)) ?? drawCard(card));
    if (items.length !== group.list.children.length || items.some((item, place) => group.list.children[place] !== item)) {
      const focused = document.activeElement?.closest?.("[data-no]")?.dataset.no;
      group.list.replaceChildren(...items);
      if (focused && !document.activeElement?.closest("[data-no]")) group.list.querySelector(`[data-no="${focused}"] .title`)?.focus();
    }
  }

  #makeGroup(priority) {
    const names = { 1: _("Now"), 2: _("Next shift"), 3: _("Next round") };
    const count = make("span", "count");
    const list = make("ul", "cards");
    const more = make("a", "more");
    more.href = "/incidents";
    const badge = make("span", `priority p${priority}`, `P${priority}`);
    const element = make("details", "group", make("summary", "", badge, names[priority], count), list, more);
    element.open = priority < 3;
    this.#groups.set(priority, { element, list, count, more });
    this.container.append(element);
  }

  #clicked(event) {
    const item = event.target.closest("[data-no]");
    if (!item || event.target.closest("a")) return;
    const card = this.#cards.get(Number(item.dataset.no));
    if (event.target.closest("button.acknowledge")) this.#acknowledge(card, event.target.closest("button"));
    else this.dispatchEvent(new CustomEvent("choose", { detail: card }));
  }

  async #acknowledge(card, button) {
    button.disabled = true;
    const answer = await fetch(`/incidents/${card.no}/acknowledge`, {
      method: "POST",
      headers: { accept: "application/json" },
    }).catch(() => null);
    button.disabled = false;
    if (!answer?.ok) {
      button.textContent = _("Not done, try again");
      return;
    }
    const { state, acknowledged_by } = await answer.json();
    this.update({ ...card, state, acknowledged_by });
  }
}

function drawCard(card) {
  const time = make("time");
  time.dataset.us = card.since_us;
  const title = make("button", "title", card.title);
  title.type = "button";
  title.title = _("Show on the map");
  const details = make("a", "", _("Details"));
  details.href = `/incidents/${card.no}`;
  details.setAttribute("aria-label", _("Details of {title}, {place}", card));
  const members = card.members > 0 ? make("span", "members", ngettext("{n} device", "{n} devices", card.members + 1)) : null;
  const item = make(
    "li",
    `card p${card.priority}`,
    title,
    make("p", "place", card.place),
    make("p", "meta", time, members, card.quiet ? make("span", "quiet-mark", _("nobody called")) : null),
    make("p", "actions", ...answerParts(card), details),
  );
  item.dataset.no = card.no;
  item.dataset.key = JSON.stringify(card);
  return item;
}

function answerParts(card) {
  if (card.state !== "new") {
    return [make("span", "taken", card.acknowledged_by ? _("taken by {who}", { who: card.acknowledged_by }) : "")];
  }
  const button = make("button", "acknowledge", _("Acknowledge"));
  button.type = "button";
  button.setAttribute("aria-label", _("Acknowledge {title}, {place}", card));
  return [button];
}
