// One sentence that screen readers read out whenever it changes.
function render({ model, el }) {
  const text = document.createElement("p");
  text.className = "metauas-status";
  text.setAttribute("role", "status");
  const draw = () => {
    text.textContent = model.get("text");
    text.dataset.tone = model.get("tone");
  };
  model.on("change", draw);
  el.append(text);
  draw();
}

export default { render };
