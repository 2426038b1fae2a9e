// A screen of a flow whose texts or fields depend on what is typed into it is shown again when that changes.
const form = document.getElementById("interview");

if ("reacts" in form.dataset) {
  form.addEventListener("change", async () => {
    const given = new FormData(form);
    given.set("_way", "look");
    const answer = await fetch(location.href, { method: "POST", body: new URLSearchParams(given) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement.id;
    form.replaceChildren(...page.getElementById("interview").childNodes);
    document.getElementById(focused)?.focus();
  });
}
