// The options of a prediction as native radio buttons: one click, or Tab, arrows and Space.
// ipywidgets' own cannot be used by keys in JupyterLab, which takes the arrows for its cells.
let made = 0;

function render({ model, el }) {
  const group = document.createElement("div");
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", model.get("question"));
  const name = `pl-predict-${Date.now()}-${made++}`;
  const radios = model.get("options").map((option) => {
    const label = document.createElement("label");
    label.style.cssText = "display:block;width:max-content;padding:2px 8px 2px 0;cursor:pointer";
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name, value: option });
    radio.style.marginRight = "8px";
    radio.dataset.lmSuppressShortcuts = "true"; // has to be on what has the focus
    radio.addEventListener("change", () => {
      model.set("choice", option);
      model.save_changes();
    });
    radio.addEventListener("keydown", (event) => {
      if (event.key === "Escape" || event.key === "Enter") el.closest(".jp-Cell")?.focus();
    });
    label.append(radio, option);
    group.append(label);
    return radio;
  });
  const update = () => {
    for (const radio of radios) {
      radio.checked = radio.value === model.get("choice");
      radio.disabled = model.get("is_closed");
    }
  };
  model.on("change:choice", update);
  model.on("change:is_closed", update);
  update();
  el.append(group);
  model.set("is_shown", true);
  model.save_changes();
}

export default { render };
