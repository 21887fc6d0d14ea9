"use strict";
(() => {
  const plots = JSON.parse(document.getElementById("readouts").textContent);
  const every = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const element = (tag, ...inside) => {
    const made = document.createElement(tag);
    made.append(...inside);
    return made;
  };
  const clamped = (k, length) => Math.min(Math.max(k, 0), length - 1);
  const STEPS = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    Home: [-Infinity, 0],
    End: [Infinity, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };
  const GAP = 12; // pixels that the style sheet leaves beside what is read out
  const off = new Set();
  const redraws = [];

  const button = (agent) => document.querySelector(`button[data-agent="${agent}"]`);
  const line = (agent) => button(agent).querySelector("svg").cloneNode(true);
  const name = (agent) => button(agent).querySelector("span").textContent;

  // Every agent has a button, which may have copies; it hides whatever carries the agent's number.
  const update = () => {
    every("button[data-agent]", (button) => button.setAttribute("aria-pressed", !off.has(button.dataset.agent)));
    every("button[data-every]", (button) => button.setAttribute("aria-pressed", !off.size));
    every("[data-agent]:not(button)", (part) => part.classList.toggle("off", off.has(part.dataset.agent)));
    redraws.forEach((redraw) => redraw());
  };
  every("button[data-agent]", (button) =>
    button.addEventListener("click", () => {
      const agent = button.dataset.agent;
      if (!off.delete(agent)) off.add(agent);
      update();
    }),
  );
  every("button[data-every]", (button) =>
    button.addEventListener("click", () => {
      if (off.size) off.clear();
      else every("button[data-agent]", (each) => off.add(each.dataset.agent));
      update();
    }),
  );
  every(".switches", (switches) => (switches.hidden = false));

  every("figure[data-plot]", (figure) => {
    const plot = plots[figure.dataset.plot];
    if (!plot) return;
    const { at, x, boxes, curves } = plot;
    const output = figure.querySelector("output");
    const forms = ["wide", "narrow"].map((name, k) => {
      const holder = figure.querySelector(`.${name}`);
      const svg = holder.querySelector("svg");
      const guide = svg.appendChild(document.createElementNS(svg.namespaceURI, "g"));
      guide.setAttribute("class", "guide");
      const [left, top, right, bottom] = boxes[k];
      return { holder, svg, guide, left, top, width: right - left, height: bottom - top };
    });
    let place = null; // which of the places is read out, and the agent nearest to the pointer
    let near = null;

    const present = () =>
      Object.keys(curves)
        .filter((agent) => !off.has(agent) && curves[agent].y[place] !== null)
        .sort((a, b) => curves[b].y[place] - curves[a].y[place]);

    const redraw = () => {
      output.hidden = place === null;
      forms.forEach(({ guide }) => guide.replaceChildren());
      if (place === null) return;
      const agents = present();
      if (!agents.includes(near)) near = agents[0] ?? null;
      forms.forEach(({ guide, left, top, width, height }) => {
        const across = left + x[place] * width;
        const mark = (tag, attributes) => {
          const made = guide.appendChild(document.createElementNS(guide.namespaceURI, tag));
          for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
          return made;
        };
        mark("line", { x1: across, x2: across, y1: top, y2: top + height });
        for (const agent of agents) {
          const down = top + (1 - curves[agent].y[place]) * height;
          const dot = mark("circle", { cx: across, cy: down, r: agent === near ? 4.5 : 2.5 });
          dot.setAttribute("fill", line(agent).querySelector("path").getAttribute("stroke"));
        }
      });
      const rows = agents.map((agent) => {
        const row = element("tr", element("td", line(agent)), element("th", name(agent)), element("td", curves[agent].text[place]));
        row.classList.toggle("near", agent === near);
        return row;
      });
      output.replaceChildren(element("b", at[place]), element("table", element("tbody", ...rows)));
      // Where the wide form is shown: beside the guide, on the side with more room, above or below most of the curves there.
      const { svg, left, top, width, height } = forms[0];
      const unit = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      const across = unit * (left + x[place] * width);
      const after = x[place] < 0.5;
      const beside = agents.flatMap((agent) => curves[agent].y.filter((_, k) => (after ? k >= place : k <= place)));
      const above = beside.reduce((sum, height) => sum + height, 0) < 0.5 * beside.length;
      output.style.left = `${after ? across : across - output.offsetWidth - 2 * GAP}px`;
      output.style.top = `${above ? unit * top : unit * (top + height) - output.offsetHeight - GAP}px`;
    };

    const clear = () => {
      place = near = null;
      redraw();
    };
    const point = (event, { svg, left, top, width, height }) => {
      const frame = svg.getBoundingClientRect();
      const unit = svg.viewBox.baseVal.width / frame.width;
      const across = ((event.clientX - frame.left) * unit - left) / width;
      const up = 1 - ((event.clientY - frame.top) * unit - top) / height;
      if (across > 1.02) return clear();
      const nearest = (values, wanted) =>
        values.reduce((best, value, k) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? k : best), 0);
      place = nearest(x, across);
      const agents = present();
      near = agents[nearest(agents.map((agent) => curves[agent].y[place]), up)] ?? null;
      redraw();
    };
    const press = (event) => {
      if (event.key === "Escape") return clear();
      const [places, agents] = STEPS[event.key] ?? [];
      if (places === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      place = clamped((place ?? at.length) + places, at.length);
      const shown = present();
      near = shown[clamped(shown.indexOf(near) + agents, shown.length)] ?? null;
      redraw();
    };
    forms.forEach((form) => {
      const { holder, svg } = form;
      holder.tabIndex = 0;
      holder.setAttribute("role", "group");
      holder.setAttribute("aria-label", `${svg.getAttribute("aria-label")}: arrow keys read the values`);
      svg.addEventListener("pointermove", (event) => point(event, form));
      svg.addEventListener("pointerdown", (event) => point(event, form));
      svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && clear());
      holder.addEventListener("keydown", press);
      holder.addEventListener("blur", clear);
    });
    redraws.push(redraw);
  });
})();
