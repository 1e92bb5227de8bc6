// Interactive page of face meshes. Bundled with three.js into viewer.js; how is told in
// docs/rendering.md. The page holds its data: #scene is JSON, #data packed bytes, which the page's
// own `unpack` opens.
import {
  AmbientLight, BufferAttribute, BufferGeometry, Color, DirectionalLight, DoubleSide, Group,
  HemisphereLight, Mesh, MeshStandardMaterial, PerspectiveCamera, Scene, Spherical, SRGBColorSpace,
  Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

const $ = (id) => document.getElementById(id);
/* global unpack */
const page = JSON.parse($("scene").textContent);
const CLAY = [206, 198, 190];
const MODES = { colours: "Colour", clay: "Clay", values: "Error" };

// ---- data -------------------------------------------------------------------------------------

// Whole numbers lie as differences to the one `stride` before, zigzag coded, split into byte
// planes (all lowest bytes first): the mirror image of `_packed` in viewer.py.
function numbers(bytes, { offset, count, planes, stride }) {
  const out = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let code = 0;
    for (let p = 0; p < planes; p++) code |= bytes[offset + p * count + i] << (8 * p);
    const step = (code >>> 1) ^ -(code & 1);
    out[i] = step + (i >= stride ? out[i - stride] : 0);
  }
  return out;
}

const toLinear = Float32Array.from({ length: 256 }, (_, i) => {
  const v = i / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
});

function build(bytes, item) {
  const raw = numbers(bytes, item.positions);
  const positions = Float32Array.from(raw, (q, i) => item.low[i % 3] + q * item.step);
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  geometry.setIndex(new BufferAttribute(Uint32Array.from(numbers(bytes, page.faces[item.faces])), 1));
  geometry.computeVertexNormals();
  const count = positions.length / 3;
  geometry.setAttribute("color", new BufferAttribute(new Float32Array(3 * count), 3));
  return {
    ...item, geometry,
    rgb: item.colours && numbers(bytes, item.colours),
    mm: item.values && Float32Array.from(numbers(bytes, item.values), (q) => (q < 0 ? NaN : q * item.valueStep)),
  };
}

function paint(mesh, mode, maximum) {
  const attribute = mesh.geometry.getAttribute("color");
  const out = attribute.array;
  const put = (i, r, g, b) => {
    out[3 * i] = toLinear[r]; out[3 * i + 1] = toLinear[g]; out[3 * i + 2] = toLinear[b];
  };
  for (let i = 0; i < attribute.count; i++) {
    if (mode === "values" && mesh.mm) {
      const mm = mesh.mm[i];
      const share = Math.min(255, Math.round((255 * mm) / maximum));
      put(i, ...(Number.isNaN(mm) ? page.notEvaluated : page.errorMap[share]));
    } else if (mode === "colours" && mesh.rgb) {
      put(i, mesh.rgb[3 * i], mesh.rgb[3 * i + 1], mesh.rgb[3 * i + 2]);
    } else put(i, ...CLAY);
  }
  attribute.needsUpdate = true;
}

// ---- stage ------------------------------------------------------------------------------------

const canvas = $("canvas");
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

function stage() {
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
  renderer.outputColorSpace = SRGBColorSpace;
  renderer.setScissorTest(true);
  const camera = new PerspectiveCamera(24, 1, 10, 5000);
  const lights = new Group();
  const lamp = (colour, x, y, z) => {
    const light = new DirectionalLight(colour);
    light.position.set(x, y, z);
    lights.add(light, light.target);
    return light;
  };
  const set = {
    key: lamp(0xfff6ea, -0.55, 0.62, 0.75), fill: lamp(0xeaf2ff, 0.85, 0.05, 0.6),
    rim: lamp(0xeaf2ff, 0.7, 0.45, -0.55), sky: new HemisphereLight(0xffffff, 0xb9aa9c),
    flat: new AmbientLight(0xffffff),
  };
  lights.add(set.sky, set.flat);
  camera.add(lights);
  const controls = new OrbitControls(camera, canvas);
  controls.enableDamping = !still;
  controls.zoomSpeed = 0.6;
  controls.autoRotateSpeed = 1.6;
  controls.minDistance = 120;
  controls.maxDistance = 4000;
  return { renderer, camera, controls, set };
}

function illuminate({ set }, flat) {
  // Colours that mean something keep their lightness: less key, more light from everywhere.
  [set.key.intensity, set.fill.intensity, set.rim.intensity] = flat ? [0.9, 0.25, 0.15] : [2.2, 0.55, 0.9];
  [set.sky.intensity, set.flat.intensity] = flat ? [0.9, 1.3] : [0.85, 0.15];
}

// ---- page -------------------------------------------------------------------------------------

async function start() {
  let view;
  try {
    view = stage();
  } catch (error) {
    $("notice").textContent = "This page needs WebGL, which this browser does not offer.";
    return;
  }
  const bytes = await unpack("data");
  const { renderer, camera, controls } = view;
  const state = { group: 0, mode: page.modes[0], maximum: page.maximum, shown: [], dirty: true };
  const material = new MeshStandardMaterial({ vertexColors: true, roughness: 0.72, metalness: 0, side: DoubleSide });
  $("notice").remove();

  function show(index) {
    state.group = (index + page.groups.length) % page.groups.length;
    for (const { mesh } of state.shown) mesh.geometry.dispose();
    const group = page.groups[state.group];
    state.shown = group.items.map((item) => {
      const data = build(bytes, item);
      const scene = new Scene();
      const mesh = new Mesh(data.geometry, material);
      scene.add(mesh);
      return { scene, mesh, data };
    });
    $("group").value = $("slide").value = String(state.group);
    $("slide").setAttribute("aria-valuetext", group.name);
    $("captions").replaceChildren(...state.shown.map(({ data }) => {
      const caption = document.createElement("figcaption");
      const name = document.createElement("b");
      name.textContent = data.name;
      caption.append(name, document.createElement("br"), data.note);
      return caption;
    }));
    repaint();
    layout();
  }

  function repaint() {
    for (const { data } of state.shown) paint(data, state.mode, state.maximum);
    illuminate(view, state.mode === "values");
    for (const mode of page.modes) $(mode).setAttribute("aria-pressed", String(mode === state.mode));
    $("legend").hidden = state.mode !== "values";
    $("most").textContent = `≥ ${state.maximum} mm`;
    $("half").textContent = `${state.maximum / 2}`;
    state.dirty = true;
  }

  function layout() {
    const { clientWidth: width, clientHeight: height } = $("stage");
    const count = state.shown.length;
    const columns = Math.max(1, Math.min(count, Math.floor(width / 250)));
    state.grid = { columns, rows: Math.ceil(count / columns), width, height };
    $("captions").style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    $("captions").style.gridTemplateRows = `repeat(${state.grid.rows}, 1fr)`;
    renderer.setPixelRatio(Math.min(2, devicePixelRatio));
    renderer.setSize(width, height, false);
    state.dirty = true;
  }

  function draw() {
    const { columns, rows, width, height } = state.grid;
    const [w, h] = [width / columns, height / rows];
    renderer.setScissor(0, 0, width, height);
    renderer.setViewport(0, 0, width, height);
    renderer.clear();
    camera.aspect = w / h;
    camera.updateProjectionMatrix();
    state.shown.forEach(({ scene }, i) => {
      const [x, y] = [(i % columns) * w, height - (Math.floor(i / columns) + 1) * h];
      renderer.setViewport(x, y, w, h);
      renderer.setScissor(x, y, w, h);
      scene.add(camera);
      renderer.render(scene, camera);
    });
  }

  function home() {
    const [x, y, z] = page.centre;
    controls.target.set(x, y, z);
    const { columns, rows, width, height } = state.grid;
    const [x2, y2, z2] = page.half;
    const needed = Math.max(y2, (0.85 * Math.max(x2, z2) * (height / rows)) / (width / columns));
    const distance = z2 + (needed * 1.28) / Math.tan((12 * Math.PI) / 180);
    const turned = new Spherical(Math.min(distance, controls.maxDistance), Math.PI / 2 - 0.03, 0.42);
    camera.position.setFromSpherical(turned).add(controls.target);
    controls.update();
    state.dirty = true;
  }

  function turn(yaw, pitch, zoom = 1) {
    const place = new Spherical().setFromVector3(new Vector3().subVectors(camera.position, controls.target));
    place.theta += yaw;
    place.phi = Math.min(Math.PI - 0.1, Math.max(0.1, place.phi + pitch));
    place.radius = Math.min(controls.maxDistance, Math.max(controls.minDistance, place.radius * zoom));
    camera.position.setFromSpherical(place).add(controls.target);
    controls.update();
    state.dirty = true;
  }

  page.groups.forEach((group, i) => $("group").add(new Option(group.name, String(i))));
  $("slide").max = String(page.groups.length - 1);
  $("chooser").hidden = page.groups.length < 2;
  for (const mode of page.modes) {
    const button = document.createElement("button");
    button.id = mode;
    button.type = "button";
    button.textContent = MODES[mode];
    button.onclick = () => { state.mode = mode; repaint(); };
    $("modes").append(button);
  }
  $("modes").hidden = page.modes.length < 2;
  const stops = page.errorMap.filter((_, i) => i % 15 === 0).map(([r, g, b]) => `rgb(${r} ${g} ${b})`);
  $("ramp").style.background = `linear-gradient(90deg, ${stops.join(",")})`;
  $("group").onchange = (event) => show(Number(event.target.value));
  $("slide").oninput = (event) => show(Number(event.target.value));
  $("before").onclick = () => show(state.group - 1);
  $("after").onclick = () => show(state.group + 1);
  $("home").onclick = home;
  $("wire").onchange = (event) => { material.wireframe = event.target.checked; state.dirty = true; };
  $("spin").onchange = (event) => { controls.autoRotate = event.target.checked; };
  const steps = page.scales;
  $("scale").max = String(steps.length - 1);
  $("scale").value = String(Math.max(0, steps.indexOf(page.maximum)));
  $("scale").oninput = (event) => { state.maximum = steps[Number(event.target.value)]; repaint(); };
  controls.addEventListener("change", () => { state.dirty = true; });
  new ResizeObserver(layout).observe($("stage"));

  const keys = {
    ArrowLeft: () => turn(-0.12, 0), ArrowRight: () => turn(0.12, 0),
    ArrowUp: () => turn(0, -0.1), ArrowDown: () => turn(0, 0.1),
    "+": () => turn(0, 0, 0.9), "-": () => turn(0, 0, 1 / 0.9), 0: home,
    n: () => show(state.group + 1), p: () => show(state.group - 1),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  show(0);
  home();
  renderer.setAnimationLoop(() => {
    controls.update();
    if (!state.dirty) return;
    state.dirty = false;
    draw();
  });
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  const notice = $("notice") || document.body.appendChild(document.createElement("p"));
  notice.textContent = `The page could not be shown: ${error.message}`;
});
