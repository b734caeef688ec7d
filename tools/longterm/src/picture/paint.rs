// SPDX-License-Identifier: GPL-2.0

//! The few shapes that a picture is made of. Attributes only, no style sheet: every viewer and
//! converter knows those.

use svg::{
    node::element::{Definitions, Line, Path, Pattern, Rectangle, Text, Title},
    Document, Node,
};

/// Okabe and Ito's, which stay apart for the colour-blind; each also differs in lightness.
pub(crate) mod colour {
    pub(crate) const TEXT: &str = "#1a1a1a";
    pub(crate) const FAINT: &str = "#5f5f5f";
    pub(crate) const RULE: &str = "#e4e4e4";
    pub(crate) const GRID: &str = "#ececec";
    pub(crate) const BAND: &str = "#eeeeee";
    pub(crate) const SHADE: &str = "#fdf0d5";
    pub(crate) const LEASE: &str = "#bfe0f5";
    pub(crate) const LEASE_EDGE: &str = "#56a5d8";
    pub(crate) const REVOKED: &str = "url(#revoked)";
    pub(crate) const PIN: &str = "#0b5d94";
    pub(crate) const WAIT: &str = "#e69f00";
    pub(crate) const WORK: &str = "#7a7a7a";
    pub(crate) const SIGIO: &str = "#00805c";
    pub(crate) const SIGBUS: &str = "#c04a00";
    pub(crate) const SIGKILL: &str = "#000000";
    pub(crate) const REFUSED: &str = "#a3497c";
    pub(crate) const WHITE: &str = "#ffffff";
}

const FONT: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/// Numbers with one digit keep the file small and readable.
fn n(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A picture that grows; layers lie over one another in the order in which they were made.
pub(crate) struct Canvas {
    layers: Vec<Vec<Box<dyn Node>>>,
}

/// The text that was drawn last, to be changed.
pub(crate) struct Drawn<'a>(&'a mut Canvas, Text);

impl Drawn<'_> {
    pub(crate) fn bold(mut self) -> Self {
        self.1 = self.1.clone().set("font-weight", "bold");
        self
    }
    pub(crate) fn italic(mut self) -> Self {
        self.1 = self.1.clone().set("font-style", "italic");
        self
    }
    pub(crate) fn middle(mut self) -> Self {
        self.1 = self.1.clone().set("text-anchor", "middle");
        self
    }
    pub(crate) fn right(mut self) -> Self {
        self.1 = self.1.clone().set("text-anchor", "end");
        self
    }
    /// What a pointer that rests on it shows.
    pub(crate) fn hint(mut self, text: &str) -> Self {
        self.1 = self.1.clone().add(Title::new(text));
        self
    }
}

impl Drop for Drawn<'_> {
    fn drop(&mut self) {
        let text = self.1.clone();
        self.0.push(text);
    }
}

impl Canvas {
    pub(crate) fn new() -> Self {
        Self {
            layers: vec![Vec::new()],
        }
    }

    fn push(&mut self, node: impl Node) {
        if let Some(top) = self.layers.last_mut() {
            top.push(Box::new(node));
        }
    }

    /// Begin a layer above all others; the number of one below it that can be drawn to later.
    pub(crate) fn layer(&mut self) -> usize {
        self.layers.push(Vec::new());
        self.layers.push(Vec::new());
        self.layers.len() - 2
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, size: f64, fill: &str, text: &str) -> Drawn<'_> {
        let node = Text::new(text)
            .set("x", n(x))
            .set("y", n(y))
            .set("font-size", size)
            .set("fill", fill);
        Drawn(self, node)
    }

    pub(crate) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.push(rectangle(x, y, width, height, fill));
    }

    pub(crate) fn rect_in(
        &mut self,
        layer: usize,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        fill: &str,
    ) {
        self.layers[layer].push(Box::new(rectangle(x, y, width, height, fill)));
    }

    /// A bar with an edge and something to say to a pointer that rests on it.
    pub(crate) fn bar(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        fill: &str,
        edge: &str,
        hint: &str,
    ) {
        let node = rectangle(x, y, width, height, fill)
            .set("stroke", edge)
            .set("stroke-width", 1)
            .add(Title::new(hint));
        self.push(node);
    }

    pub(crate) fn line(&mut self, x: f64, y: f64, to_x: f64, to_y: f64, stroke: &str, width: f64) {
        self.push(stroke_of((x, y, to_x, to_y), stroke, width, None));
    }

    pub(crate) fn line_in(
        &mut self,
        layer: usize,
        ends: (f64, f64, f64, f64),
        stroke: &str,
        width: f64,
        dashes: Option<&str>,
    ) {
        self.layers[layer].push(Box::new(stroke_of(ends, stroke, width, dashes)));
    }

    /// A closed shape from a path's data, with a white rim that parts it from what is below.
    pub(crate) fn shape(&mut self, data: &str, fill: &str, stroke: &str, hint: &str) {
        let node = Path::new()
            .set("d", data)
            .set("fill", fill)
            .set("stroke", stroke)
            .set("stroke-width", 1.2)
            .set("stroke-linejoin", "round")
            .add(Title::new(hint));
        self.push(node);
    }

    /// The text of the file.
    pub(crate) fn finish(self, width: f64, height: f64, title: &str) -> String {
        let stripes = Pattern::new()
            .set("id", "revoked")
            .set("width", 7)
            .set("height", 7)
            .set("patternUnits", "userSpaceOnUse")
            .set("patternTransform", "rotate(45)")
            .add(rectangle(0.0, 0.0, 7.0, 7.0, "#f6f6f6"))
            .add(rectangle(0.0, 0.0, 2.5, 7.0, "#b5b5b5"));
        let mut document = Document::new()
            .set("viewBox", (0, 0, width as i32, height.ceil() as i32))
            .set("width", width as i32)
            .set("height", height.ceil() as i32)
            .set("role", "img")
            .set("font-family", FONT)
            .add(Title::new(title))
            .add(Definitions::new().add(stripes))
            .add(rectangle(0.0, 0.0, width, height.ceil(), colour::WHITE));
        for node in self.layers.into_iter().flatten() {
            document.append(node);
        }
        format!("{document}\n")
    }
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, fill: &str) -> Rectangle {
    Rectangle::new()
        .set("x", n(x))
        .set("y", n(y))
        .set("width", n(width))
        .set("height", n(height))
        .set("fill", fill)
}

fn stroke_of(
    (x, y, to_x, to_y): (f64, f64, f64, f64),
    stroke: &str,
    width: f64,
    dashes: Option<&str>,
) -> Line {
    let line = Line::new()
        .set("x1", n(x))
        .set("y1", n(y))
        .set("x2", n(to_x))
        .set("y2", n(to_y))
        .set("stroke", stroke)
        .set("stroke-width", width);
    match dashes {
        Some(dashes) => line.set("stroke-dasharray", dashes),
        None => line,
    }
}
