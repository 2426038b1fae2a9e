// A lookup: finds records by what is typed, and keeps the id of the one that is chosen.
const WAIT_MILLISECONDS = 150;

function attach(lookup) {
  const input = lookup.querySelector("[role=combobox]");
  const chosen = lookup.querySelector("[type=hidden]");
  const list = lookup.querySelector("[role=listbox]");
  let timer;
  let asked = 0;

  function show(open) {
    list.hidden = !open;
    input.setAttribute("aria-expanded", open);
  }

  function choose(option) {
    clearTimeout(timer);
    asked++; // what is still being looked for comes too late
    input.value = option.dataset.name;
    chosen.value = option.dataset.id;
    show(false);
  }

  function option(record) {
    const item = document.createElement("li");
    item.role = "option";
    item.dataset.id = record.id;
    item.dataset.name = record.name;
    item.textContent = record.name;
    if (record.detail) {
      const detail = document.createElement("span");
      detail.className = "soft small";
      detail.textContent = ` ${record.detail}`;
      item.append(detail);
    }
    item.addEventListener("mousedown", (event) => {
      event.preventDefault();
      choose(item);
    });
    return item;
  }

  async function find() {
    const mine = ++asked;
    const answer = await fetch(`${lookup.dataset.lookup}?${new URLSearchParams({ q: input.value })}`);
    const records = await answer.json();
    if (mine !== asked || document.activeElement !== input) return;
    list.replaceChildren(...records.map(option));
    show(records.length > 0);
  }

  input.addEventListener("focus", find);
  input.addEventListener("blur", () => show(false));
  input.addEventListener("input", () => {
    chosen.value = "";
    clearTimeout(timer);
    timer = setTimeout(find, WAIT_MILLISECONDS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
    if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      choose(list.firstElementChild);
    }
  });

  if (input.value !== input.defaultValue) chosen.value = ""; // typed before this script was there
  if (document.activeElement === input) find();
}

document.querySelectorAll("[data-lookup]").forEach(attach);
