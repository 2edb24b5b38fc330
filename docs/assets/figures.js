// Draws the figures of a gallery page in the colours of its scheme, and again when the reader changes that.
const quiet = "rgba(0, 0, 0, 0)";
function draw() {
  const ink = getComputedStyle(document.body).getPropertyValue("--md-default-fg-color");
  const grid = getComputedStyle(document.body).getPropertyValue("--md-default-fg-color--lightest");
  const narrow = window.innerWidth < 600;
  for (const [id, figure] of Object.entries(figures)) {
    const layout = structuredClone(figure.layout);
    delete layout.title; // the page says it above and below the figure
    delete layout.width;
    delete layout.height; // the page gives it
    Object.assign(layout, { paper_bgcolor: quiet, plot_bgcolor: quiet, autosize: true });
    layout.font = { ...layout.font, color: ink, size: narrow ? 11 : 13 };
    layout.margin = { t: layout.annotations || narrow ? 40 : 16, r: 12, l: narrow ? 52 : 68, b: 52 };
    // below the axis; above the plot where labels that are turned for want of width take that place
    const held = narrow ? { y: 1.02, yanchor: "bottom" } : { y: -0.18, yanchor: "top" };
    layout.legend = { bgcolor: quiet, ...layout.legend, orientation: "h", x: 0, ...held };
    for (const name of Object.keys(layout)) {
      if (/^[xy]axis/.test(name)) Object.assign(layout[name], { gridcolor: grid, linecolor: ink, tickcolor: ink, zerolinecolor: grid, automargin: true });
    }
    Plotly.react(id, figure.data, layout, { responsive: true, displaylogo: false, displayModeBar: false });
  }
}
draw();
new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
