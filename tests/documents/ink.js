// How bright a picture is on the whole, and how large the share of its dark and of its bright points.
async (png) => {
  const picture = new Image();
  picture.src = `data:image/png;base64,${png}`;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const points = canvas.getImageData(0, 0, picture.width, picture.height).data;
  let [sum, dark, bright] = [0, 0, 0];
  for (let at = 0; at < points.length; at += 4) {
    const light = 0.3 * points[at] + 0.6 * points[at + 1] + 0.1 * points[at + 2];
    sum += light;
    dark += light < 110;
    bright += light > 150;
  }
  const count = points.length / 4;
  return [sum / count, dark / count, bright / count];
}
