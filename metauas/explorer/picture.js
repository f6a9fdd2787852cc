// A picture with its text alternative; where it may be clicked, a ring marks the point.
function render({ model, el }) {
  const figure = document.createElement("figure");
  const heading = document.createElement("figcaption");
  const frame = document.createElement("div");
  const image = document.createElement("img");
  const ring = document.createElement("span");
  frame.append(image, ring);
  figure.append(heading, frame);
  figure.className = "metauas-picture";
  ring.setAttribute("aria-hidden", "true");
  el.append(figure);

  const drawImage = () => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([model.get("jpeg")], { type: "image/jpeg" }));
  };
  const drawWords = () => {
    heading.textContent = model.get("title");
    image.alt = model.get("alt");
  };
  const drawPoint = () => {
    const point = model.get("point");
    ring.hidden = point.length === 0;
    [ring.style.left, ring.style.top] = point.map((share) => `${100 * share}%`);
    frame.classList.toggle("clickable", point.length > 0);
  };
  image.addEventListener("click", (event) => {
    if (model.get("point").length === 0) return;
    const box = image.getBoundingClientRect();
    model.send({ point: [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height] });
  });
  model.on("change:jpeg", drawImage);
  model.on("change:title change:alt", drawWords);
  model.on("change:point", drawPoint);
  drawImage();
  drawWords();
  drawPoint();
  return () => URL.revokeObjectURL(image.src);
}

export default { render };
