// An element of a page, for the scripts of this folder: its attributes, text, click and children.
function el(tag, attributes, children) {
  var node = document.createElement(tag);
  Object.keys(attributes || {}).forEach(function (key) {
    if (key === "text") node.textContent = attributes[key];
    else if (key === "click") node.addEventListener("click", attributes[key]);
    else node.setAttribute(key, attributes[key]);
  });
  (children || []).forEach(function (child) { if (child) node.appendChild(child); });
  return node;
}
