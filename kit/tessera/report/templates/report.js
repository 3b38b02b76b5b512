"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];
  const button = document.querySelector(".theme");
  const stored = () => { try { return localStorage.getItem("tessera-theme"); } catch { return null; } };
  const apply = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("tessera-theme", theme); } catch { /* a page from a file may not store */ }
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  apply(theme);
  button.hidden = false;
  button.addEventListener("click", () => { theme = themes[(themes.indexOf(theme) + 1) % 3]; apply(theme); });

  const filter = document.querySelector(".filter");
  if (filter) {
    const choices = [...filter.querySelectorAll("button")];
    const rows = [...document.querySelectorAll(".obligation")];
    const tiles = [...document.querySelectorAll(".tile")];
    const fits = (el, what) => what === "" || (what === "unmet" ? el.dataset.met === "false" : el.dataset.verdict === what);
    const only = (what) => {
      choices.forEach((c) => c.setAttribute("aria-pressed", String(c.dataset.show === what)));
      rows.forEach((row) => { row.hidden = !fits(row, what); });
      tiles.forEach((tile) => tile.classList.toggle("dim", !fits(tile, what)));
      filter.querySelector(".shown").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} obligations`;
      if (what) document.querySelector("details.all").open = true;
    };
    choices.forEach((c) => c.addEventListener("click", () => only(c.dataset.show)));
    filter.hidden = false;
    only("");
  }

  for (const trace of document.querySelectorAll(".trace")) {
    const steps = [...trace.querySelectorAll(".step")];
    if (steps.length < 2) continue;
    const [back, next] = trace.querySelectorAll(".player > button");
    const dots = trace.querySelector(".dots");
    const list = trace.querySelector(".steps");
    const marks = steps.map((_, i) => {
      const dot = document.createElement("button");
      dot.type = "button";
      dot.textContent = i;
      dot.setAttribute("aria-label", `step ${i}`);
      dot.addEventListener("click", () => show(i));
      dots.append(dot);
      return dot;
    });
    marks.at(-1).classList.add("last");
    let now = 0;
    const show = (i) => {
      now = Math.max(0, Math.min(steps.length - 1, i));
      steps.forEach((step, k) => step.classList.toggle("now", k === now));
      marks.forEach((dot, k) => k === now ? dot.setAttribute("aria-current", "step") : dot.removeAttribute("aria-current"));
      back.disabled = now === 0;
      next.disabled = now === steps.length - 1;
    };
    const keys = { ArrowLeft: () => now - 1, ArrowRight: () => now + 1, Home: () => 0, End: () => steps.length - 1 };
    trace.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      show(keys[event.key]());
    });
    back.addEventListener("click", () => { show(now - 1); if (back.disabled) next.focus(); });
    next.addEventListener("click", () => { show(now + 1); if (next.disabled) back.focus(); });
    list.setAttribute("aria-live", "polite");
    list.style.setProperty("--tall", `${Math.max(...steps.map((step) => step.offsetHeight))}px`);
    trace.tabIndex = 0;
    trace.classList.add("playing");
    show(0);
  }
})();
