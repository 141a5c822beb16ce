// The grid by keyboard alone: arrows move, a class's key names the image and moves on. Without this file its lists do the same.
"use strict";

(() => {
  const form = document.getElementById("grid");
  if (!form) return;
  const lists = [...form.querySelectorAll("select")];
  const columns = () => lists.filter((one) => one.closest("li").offsetTop === lists[0].closest("li").offsetTop).length;
  const go = (place) => lists[Math.min(Math.max(place, 0), lists.length - 1)].focus();
  const mark = (list) => list.closest("li").classList.toggle("named", Boolean(list.value));

  form.addEventListener("change", (event) => mark(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("a, button, input")) return;
    const here = lists.indexOf(document.activeElement);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns() }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      return go(here < 0 ? 0 : here + step);
    }
    if (event.key === "Enter") {
      event.preventDefault();
      if (!event.repeat) form.requestSubmit();
      return;
    }
    if (here < 0) return;
    const list = lists[here];
    if (event.key === "Backspace") {
      event.preventDefault();
      list.value = "";
      return mark(list);
    }
    const find = (key) => [...list.options].find((option) => option.dataset.key === key);
    const option = event.key.length === 1 && (find(event.key) || find(event.key.toLowerCase()));
    if (!option) return;
    event.preventDefault();
    list.value = option.value;
    mark(list);
    go(here + 1);
  });
  for (const list of lists) mark(list); // a reload may have kept what was chosen
  go(0);
})();
