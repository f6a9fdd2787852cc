// A file input that refuses too large files before they are sent; the server checks again.
function render({ model, el }) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const problem = document.createElement("p");
  label.className = "metauas-upload";
  problem.className = "metauas-problem";
  problem.setAttribute("role", "alert");
  input.type = "file";
  input.accept = model.get("accept");
  label.append(model.get("label"), input);
  el.append(label, problem);

  const drawProblem = () => (problem.textContent = model.get("problem"));
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    if (file.size > model.get("max_bytes")) {
      const most = Math.floor(model.get("max_bytes") / 2 ** 20);
      model.set("problem", `${file.name} is too large; give a picture of at most ${most} MiB`);
      model.save_changes();
    } else {
      model.send({ name: file.name }, undefined, [await file.arrayBuffer()]);
    }
    input.value = "";
  });
  model.on("change:problem", drawProblem);
  drawProblem();
}

export default { render };
