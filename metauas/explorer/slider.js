// The browser's own slider, which has a name, keys and touch.
function render({ model, el }) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const output = document.createElement("span");
  output.setAttribute("aria-hidden", "true"); // the slider itself tells its value
  label.className = "metauas-slider";
  input.type = "range";
  [input.min, input.max, input.step] = ["low", "high", "step"].map((name) => model.get(name));
  label.append(model.get("label"), input, output);
  el.append(label);

  const draw = () => {
    input.value = model.get("value");
    output.textContent = model.get("value").toFixed(model.get("step") < 1 ? 2 : 0);
  };
  input.addEventListener("input", () => {
    model.set("value", input.valueAsNumber);
    model.save_changes();
  });
  model.on("change:value", draw);
  draw();
}

export default { render };
