// The host page's own script: who is signed in, and buttons that begin a conversation.
"use strict";

window.parley = window.parley || function () { (parley.q = parley.q || []).push(arguments); };

const KEPT = "cobalt-customer";
const who = document.getElementById("who");
const hello = document.getElementById("hello");
const greeting = hello.textContent;
let latest = 0; // of several choices in a row, the last one counts

async function signIn(customer, name) {
  const turn = ++latest;
  const answer = await fetch("/demo/identity", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ customer }),
  });
  if (!answer.ok) throw new Error("sign-in failed: " + answer.status);
  const { identity } = await answer.json();
  if (turn !== latest) return;
  parley("identify", identity);
  hello.textContent = "Good to see you, " + name;
}

function signOut() {
  latest++;
  parley("logout");
  hello.textContent = greeting;
}

function choose(input) {
  sessionStorage.setItem(KEPT, input.value);
  if (!input.value) return signOut();
  signIn(input.value, input.parentElement.textContent.trim()).catch((error) => {
    console.error(error);
    hello.textContent = "You could not be signed in. Is the server running?";
  });
}

who.addEventListener("change", (event) => choose(event.target));

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-say], [data-open]");
  if (!button) return;
  parley("open");
  if (button.dataset.say) parley("say", button.dataset.say);
});

// Who was signed in before the page was loaded again still is.
const before = who.querySelector(`input[value="${CSS.escape(sessionStorage.getItem(KEPT) || "")}"]`);
if (before && before.value) {
  before.checked = true;
  choose(before);
}
