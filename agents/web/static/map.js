// Draws the latent map, tells what lies under the pointer, and takes a line around points. The page's list says the same in words.
"use strict";

(() => {
  const holder = document.getElementById("map");
  if (!holder) return;
  const canvas = document.getElementById("plane"), hover = document.getElementById("hover"), legend = document.getElementById("legend");
  // Okabe and Ito's colours, then darker kin of them: classes are told by their names in the map, too.
  const CLASSES = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#8a7f00", "#7a4fb5", "#5b6770", "#a3402b"];
  const RAMP = [[0, 34, 78], [65, 77, 107], [124, 123, 120], [188, 175, 111], [254, 232, 56]]; // cividis, as in the package of that name
  const EDGE = 28;
  let shown = null, points = [], box = null, line = null, frame = 0;

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const mode = () => holder.querySelector("input[name=colour]:checked").value;
  const layout = () => holder.querySelector("input[name=layout]:checked").value;
  const ramp = (share) => {
    const bare = Math.min(Math.max(share, 0), 1), dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const at = (dark ? 0.3 + 0.7 * bare : bare) * (RAMP.length - 1), // its darkest end is lost on a dark ground
       low = Math.min(Math.floor(at), RAMP.length - 2),
      part = at - low;
    return `rgb(${RAMP[low].map((value, place) => Math.round(value + part * (RAMP[low + 1][place] - value))).join(",")})`;
  };
  const colour = (point) => {
    if (mode() === "class") return point.label < 0 ? style("--dim") : CLASSES[point.label % CLASSES.length];
    return ramp((Math.log1p(point.distance / shown.ordinary) - 0.35) / 1.4); // evenly by orders: far points are very far
  };

  const prepare = (data) => {
    shown = data;
    const read = (kind, rows) => rows.map(([key, x, y, label, distance]) => ({ kind, key, x, y, label, distance }));
    points = [...read("clean", data.reference), ...read("record", data.recent), ...read("asked", data.asked)];
    const all = (place) => points.map((point) => point[place]).sort((a, b) => a - b);
    const bounds = (values) => [values[Math.floor(0.002 * values.length)], values[Math.ceil(0.998 * values.length) - 1]];
    box = { x: bounds(all("x")), y: bounds(all("y")) }; // a stray point does not squeeze all others: it is drawn at the edge
    draw();
  };

  const place = (value, [low, high], length) => Math.min(Math.max(EDGE + (value - low) / (high - low || 1) * (length - 2 * EDGE), 6), length - 6);
  const layOut = () => {
    const width = canvas.clientWidth, height = canvas.clientHeight;
    for (const point of points) {
      point.px = place(point.x, box.x, width);
      point.py = height - place(point.y, box.y, height);
    }
  };

  const draw = () => {
    if (!shown) return;
    const width = canvas.clientWidth, height = canvas.clientHeight, scale = window.devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    layOut();
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, height);
    const halo = style("--ground");
    for (const point of points) {
      pen.beginPath();
      pen.fillStyle = colour(point);
      if (point.kind === "clean") {
        pen.globalAlpha = 0.75;
        pen.arc(point.px, point.py, 2.6, 0, 7);
        pen.fill();
        pen.globalAlpha = 1;
      } else {
        const size = point.kind === "asked" ? 6 : 4.6;
        pen.moveTo(point.px, point.py - size);
        pen.lineTo(point.px + size, point.py);
        pen.lineTo(point.px, point.py + size);
        pen.lineTo(point.px - size, point.py);
        pen.closePath();
        pen.fill();
        pen.strokeStyle = style("--dim");
        pen.lineWidth = 0.7;
        pen.stroke();
      }
      if (point.kind === "asked") {
        pen.beginPath();
        pen.strokeStyle = style("--text");
        pen.lineWidth = 1.6;
        pen.arc(point.px, point.py, 9, 0, 7);
        pen.stroke();
      }
    }
    name(pen, halo);
    if (line) trail(pen);
    explain();
  };

  const name = (pen, halo) => { // the name of each class where its clean images lie
    pen.font = "600 14px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    shown.classes.forEach((word, number) => {
      const own = points.filter((point) => point.kind === "clean" && point.label === number);
      if (!own.length) return;
      const middle = (axis) => own.map((point) => point[axis]).sort((a, b) => a - b)[own.length >> 1];
      pen.strokeStyle = halo;
      pen.lineWidth = 4;
      pen.strokeText(word, middle("px"), middle("py"));
      pen.fillStyle = style("--text");
      pen.fillText(word, middle("px"), middle("py"));
    });
  };

  const trail = (pen) => {
    pen.beginPath();
    line.forEach(([x, y], number) => (number ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.strokeStyle = style("--focus");
    pen.lineWidth = 2;
    pen.stroke();
    pen.globalAlpha = 0.12;
    pen.fillStyle = style("--focus");
    pen.fill();
    pen.globalAlpha = 1;
  };

  const explain = () => {
    const entry = (word, shade, kind) => {
      const item = document.createElement("li"), dot = document.createElement("span");
      dot.className = `dot ${kind}`;
      dot.style.background = shade;
      item.append(dot, word);
      return item;
    };
    const steps = [0.5, 1, 2, 4].map((times) => entry(`${(times * shown.ordinary).toFixed(1)}`, ramp((Math.log1p(times) - 0.35) / 1.4), ""));
    const classes = shown.classes.map((word, number) => entry(word, CLASSES[number % CLASSES.length], ""));
    legend.replaceChildren(...(mode() === "class" ? classes : steps), entry("clean", style("--dim"), ""), entry("record", style("--dim"), "diamond"));
  };

  const at = (event) => {
    const place = canvas.getBoundingClientRect();
    return [event.clientX - place.left, event.clientY - place.top];
  };
  const nearest = ([x, y]) => {
    let best = null, least = 14 ** 2;
    for (const point of points) {
      const apart = (point.px - x) ** 2 + (point.py - y) ** 2;
      if (apart <= least) [best, least] = [point, apart];
    }
    return best;
  };
  const site = holder.dataset.points.replace(/\/map\.json$/, ""); // where this deployment's pages are
  const show = (point) => {
    hover.hidden = !point;
    if (!point) return;
    const image = hover.querySelector("img");
    const address = point.kind === "clean" ? `${site}/clean/${point.key}?of=${encodeURIComponent(shown.pipeline)}` : `${site}/map/image/${point.key}`;
    if (image.getAttribute("src") !== address) image.src = address;
    const word = point.label < 0 ? "answer not told" : shown.classes[point.label];
    const what = point.kind === "clean" ? `clean: ${word}` : `record ${point.key}: ${word}`;
    image.alt = what;
    hover.querySelector("figcaption").textContent = `${what}; distance ${point.distance.toFixed(1)}`;
    hover.style.left = `${Math.min(point.px + 14, canvas.clientWidth - 150)}px`;
    hover.style.top = `${canvas.offsetTop + Math.min(point.py + 14, canvas.clientHeight - 140)}px`;
  };

  const inside = ([x, y]) => { // crossings of a ray with the line
    let odd = false;
    for (let one = 0, before = line.length - 1; one < line.length; before = one++) {
      const [ax, ay] = line[one], [bx, by] = line[before];
      if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
  const choose = () => {
    const keys = [...new Set(points.filter((point) => point.kind !== "clean" && inside([point.px, point.py])).map((point) => point.key))];
    if (keys.length) htmx.ajax("GET", `${site}/map/look?seqs=${keys.slice(0, 1500).join(",")}`, { target: "#look", swap: "innerHTML" });
  };

  canvas.addEventListener("pointerdown", (event) => {
    line = [at(event)];
    canvas.setPointerCapture(event.pointerId);
    show(null);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!line) return show(nearest(at(event)));
    line.push(at(event));
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (line && line.length > 4) choose();
    else show(nearest(at(event)));
    if (line && line.length <= 4) line = null;
    const kept = line;
    draw();
    if (kept) line = null; // the line stays on the picture until it is drawn anew
  });
  canvas.addEventListener("pointercancel", () => { line = null; draw(); });
  canvas.addEventListener("pointerleave", () => show(null));
  canvas.addEventListener("keydown", (event) => { // from point to point: the next one to that side
    const side = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!side || !points.length) return;
    event.preventDefault();
    const from = canvas.current || { px: canvas.clientWidth / 2, py: canvas.clientHeight / 2 };
    let best = null, least = Infinity;
    for (const point of points) {
      const ahead = (point.px - from.px) * side[0] + (point.py - from.py) * side[1];
      const aside = Math.abs((point.px - from.px) * side[1]) + Math.abs((point.py - from.py) * side[0]);
      if (point !== from && ahead > 0.5 && ahead + 3 * aside < least) [best, least] = [point, ahead + 3 * aside];
    }
    if (best) show((canvas.current = best));
  });
  holder.addEventListener("change", (event) => (event.target.name === "layout" ? fetchPoints() : draw()));
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  const fetchPoints = async () => {
    const wanted = layout(), laying = document.getElementById("laying");
    laying.hidden = wanted === "plane";
    const answer = await fetch(`${holder.dataset.points}?layout=${wanted}`);
    if (wanted !== layout()) return; // somebody has changed their mind meanwhile
    laying.hidden = true;
    if (answer.ok) prepare(await answer.json());
    holder.dataset.layout = wanted;
    holder.dataset.drawn = points.length;
  };
  document.getElementById("map-again").addEventListener("click", fetchPoints);
  fetchPoints();
})();
