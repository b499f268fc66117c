// What stands around the figures of either page: its sections, its theme, the choice of a convention.
function shell(conventions) {
  textures();
  themes();
  const sections = [...document.querySelectorAll("[data-nav]")];
  show(
    "sections",
    sections.map((section) => el("a", { href: `#${section.id}` }, section.dataset.nav)),
  );
  at("convention").append(...conventions.map((name) => el("option", { value: name }, name)));
  at("convention").disabled = conventions.length < 2;
  at("convention").addEventListener("change", (event) => choose({ convention: event.target.value }));
  at("toolbar").addEventListener("submit", (event) => event.preventDefault());
  state.convention = conventions[0] ?? null;
}

// Light, dark, or what the system says.
function themes() {
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
  show("themes", buttons);
}
