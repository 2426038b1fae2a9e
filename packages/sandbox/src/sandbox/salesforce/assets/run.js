// Watches the run a button started; when it has ended, says so and brings the page up to date.
const notice = document.getElementById("run");
const POLL_MILLISECONDS = 700;

function say(run) {
  const link = document.createElement("a");
  link.href = run.url;
  link.textContent = run.name;
  notice.replaceChildren(`${run.message || run.state}${run.final ? "" : " …"} (`, link, ")");
}

async function refresh() {
  const url = new URL(location.href);
  url.searchParams.delete("run");
  const page = new DOMParser().parseFromString(await (await fetch(url)).text(), "text/html");
  notice.remove();
  const main = document.querySelector("main");
  main.replaceWith(page.querySelector("main"));
  document.querySelector("main").prepend(notice);
  history.replaceState(null, "", url);
}

async function watch() {
  const run = await (await fetch(`/lightning/runs/${notice.dataset.run}`)).json();
  if (run.error) {
    notice.className = "notice bad";
    notice.textContent = run.error;
    return;
  }
  say(run);
  if (!run.final) {
    setTimeout(watch, POLL_MILLISECONDS);
    return;
  }
  notice.className = run.state === "Completed" ? "notice good" : "notice bad";
  await refresh();
  notice.dataset.done = "true";
}

watch();
