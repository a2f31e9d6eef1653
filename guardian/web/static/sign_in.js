// A link from another site comes without the session's cookie: whoever is signed in all the same goes on.
const form = document.querySelector("form[data-next]");
// A redirect is what strangers get; a refusal would be told on the browser's console.
const answer = await fetch("/review/account", { redirect: "manual" });
if (answer.ok && form && document.getElementById("password").value === "") {
  location.replace(form.dataset.next);
}
