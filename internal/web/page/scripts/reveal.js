for (const button of document.querySelectorAll(".reveal")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const show = (on) => {
    input.type = on ? "text" : "password";
    button.setAttribute("aria-pressed", on);
  };
  button.addEventListener("click", () => {
    show(input.type === "password");
    input.focus();
  });
  input.form.addEventListener("submit", () => show(false));
  button.hidden = false;
}
