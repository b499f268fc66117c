// Light, dark, or what the system says.
function theme() {
  const buttons = ["system", "light", "dark"].map((name) =>
    el(
      "button",
      {
        type: "button",
        "data-theme-choice": name,
        "aria-pressed": name === "system",
        onclick: () => set(name),
      },
      name[0].toUpperCase() + name.slice(1),
    ),
  );
  function set(name) {
    if (name === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", name);
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.themeChoice === name);
  }
  at("themes").classList.add("group");
  show("themes", buttons);
}
