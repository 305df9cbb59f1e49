"use strict";
// What the page does beside the chart: appearance, tabs of runs, tables, pictures, links to figures.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, properties, parent) => {
    const node = Object.assign(document.createElement(name), properties);
    parent.append(node);
    return node;
  };

  // Appearance. A browser may refuse a page from the disk to store anything.
  const theme = document.getElementById("theme");
  const show = (value) => {
    if (value) document.documentElement.dataset.theme = value;
    else delete document.documentElement.dataset.theme;
  };
  try { theme.value = localStorage.getItem("testbed-theme") || ""; } catch { theme.value = ""; }
  show(theme.value);
  theme.addEventListener("change", () => {
    show(theme.value);
    try { localStorage.setItem("testbed-theme", theme.value); } catch { /* it lasts as long as the page */ }
  });

  // A link to the file that is seen: it is in the page once.
  for (const link of all("a[data-of-picture]")) link.href = link.closest("figure").querySelector("img").src;

  // Tabs: arrow keys move, one panel is shown.
  const tabs = all('[role="tab"]');
  const choose = (tab) => tabs.forEach((each) => {
    each.setAttribute("aria-selected", String(each === tab));
    each.tabIndex = each === tab ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).hidden = each !== tab;
  });
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(i + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
  });
  if (tabs.length) choose(tabs[0]);

  // Tables: sorted by a heading, numbers as numbers; rows that hold a text.
  const order = (a, b) => {
    // Thousands are set apart with commas.
    const [x, y] = [a, b].map((each) => Number(each.replaceAll(",", "")));
    if (a === "" || b === "") return (a === "") - (b === "");
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  for (const table of all("table[data-sortable]")) {
    const body = table.tBodies[0];
    all("th", table).forEach((heading) => heading.querySelector("button")?.addEventListener("click", () => {
      const column = heading.cellIndex, up = heading.getAttribute("aria-sort") !== "ascending";
      all("th", table).forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = (row) => row.cells[column].textContent.trim();
      body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * order(text(a), text(b))));
    }));
  }
  for (const field of all("input[data-filter]")) {
    const rows = [...field.closest("details").querySelector("tbody").rows];
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every((each) => text.includes(each));
      }
    });
  }

  // Received pictures: a slider through SNR for each channel.
  const pictures = JSON.parse(document.getElementById("data").textContent).pictures;
  for (const place of all("[data-pictures]")) {
    const own = pictures[Number(place.dataset.pictures)];
    if (own.image) make("p", { className: "quiet", textContent: `Picture ${own.image}, its first channel draw. Pixels are shown as they are.${own.thinned ? " Some SNRs are left out to keep the page small." : ""}` }, place);
    const card = (grid, name) => {
      const figure = make("figure", {}, grid), image = make("img", { alt: name }, figure);
      const caption = make("figcaption", {}, figure);
      make("strong", { textContent: name }, caption);
      return { image, words: make("span", { className: "words" }, caption) };
    };
    for (const setting of own.settings) {
      make("h3", { textContent: setting.title }, place);
      const line = make("div", { className: "slider" }, place);
      const slider = make("input", { type: "range", min: 0, max: setting.snrs_db.length - 1, step: 1, value: setting.snrs_db.length - 1 }, line);
      slider.setAttribute("aria-label", `Es/N0 over ${setting.title}`);
      const output = make("output", {}, line), grid = make("div", { className: "grid" }, place);
      if (own.original) card(grid, "original").image.src = own.files[own.original];
      const cards = setting.codecs.map((codec) => ({ codec, ...card(grid, codec.label) }));
      const turn = () => {
        const at = Number(slider.value), words = `${setting.snrs_db[at]} dB`;
        output.textContent = `Es/N0 ${words}`;
        slider.setAttribute("aria-valuetext", words);
        for (const { codec, image, words: place } of cards) {
          const shown = codec.at[at];
          image.hidden = !shown;
          if (shown) image.src = own.files[shown.file];
          image.alt = `${codec.label} at ${words}`;
          place.textContent = shown ? ` ${shown.words}` : " not simulated at this SNR";
        }
      };
      slider.addEventListener("input", turn);
      turn();
    }
  }
})();
