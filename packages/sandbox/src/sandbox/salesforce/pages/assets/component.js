// Lightning web components on the screen of a flow: the package's own, each in a place that waits for it.
const tag = (name) => `c-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

async function show(place) {
  const source = `/lightning/components/${place.dataset.component}`;
  const answer = await fetch(source);
  place.querySelector(".waits").remove();
  if (!answer.ok) {
    place.querySelector(".why").textContent = await answer.text();
    place.querySelector(".notice").hidden = false;
    return;
  }
  const { Component, createElement } = await import(source);
  const element = createElement(tag(place.dataset.component), { is: Component });
  Object.assign(element, JSON.parse(place.dataset.properties));
  place.append(element);
}

for (const place of document.querySelectorAll("[data-component]")) {
  show(place);
}

// The record's page beneath the dialogue shows what a component says was updated.
addEventListener("recordsupdated", ({ detail }) => {
  const page = document.querySelector(".beneath");
  if (detail.has(page.dataset.record.slice(0, 15))) {
    page.contentWindow.location.reload();
  }
});
