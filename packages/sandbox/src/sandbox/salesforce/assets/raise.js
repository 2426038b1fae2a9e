// The lines of the form: add one, remove one, show the list price of the product chosen.
const form = document.getElementById("raise");
const body = form.querySelector("tbody");

document.getElementById("add-line").addEventListener("click", () => {
  body.append(form.querySelector("template").content.cloneNode(true));
  body.lastElementChild.querySelector("select").focus();
});

body.addEventListener("click", (event) => {
  if (event.target.matches(".remove") && body.rows.length > 1) {
    event.target.closest("tr").remove();
  }
});

body.addEventListener("change", (event) => {
  if (event.target.name !== "product") return;
  const price = event.target.selectedOptions[0].dataset.price ?? "";
  event.target.closest("tr").querySelector("[name=unit_price]").placeholder = price || "list price";
});
