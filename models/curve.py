"""Draws the loss curve: python3 models/curve.py models/curve.csv models/curve.svg"""

import argparse
import csv

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 50, 60, 30, 72
# Distinguishable by the colour-blind, and on white and black.
LINES = {"loss": "#888888", "retold": "#0072b2", "what has": "#009e73", "who has": "#d55e00", "repeated": "#cc79a7"}


def polyline(points, colour):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def text(x, y, words, anchor="middle", colour="#777777"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def draw(rows):
    last = int(rows[-1]["step"])
    top_loss = max(float(row["loss"]) for row in rows)
    x = lambda step: LEFT + (WIDTH - LEFT - RIGHT) * step / last
    y = lambda share: TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
           ' font-family="sans-serif" font-size="11">']
    for tenth in range(0, 11, 2):
        out.append(f'<path d="M{LEFT} {y(tenth / 10):.1f}H{WIDTH - RIGHT}" stroke="#cccccc" stroke-width="0.5"/>')
        out.append(text(LEFT - 6, y(tenth / 10) + 4, f"{top_loss * tenth / 10:.1f}", "end"))
        out.append(text(WIDTH - RIGHT + 6, y(tenth / 10) + 4, f"{tenth * 10} %", "start"))
    begun = 0
    for i, row in enumerate(rows):
        if i + 1 == len(rows) or rows[i + 1]["stage"] != row["stage"]:
            end = int(row["step"])
            out.append(f'<path d="M{x(end):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#cccccc" stroke-dasharray="3 3"/>')
            for line, word in enumerate(row["stage"].split()):
                out.append(text((x(begun) + x(end)) / 2, HEIGHT - BOTTOM + 30 + 13 * line, word))
            out.append(text(x(end), HEIGHT - BOTTOM + 15, end))
            begun = end
    for i, (name, colour) in enumerate(LINES.items()):
        scale = top_loss if name == "loss" else 1
        points = [(x(int(row["step"])), y(float(row[name]) / scale)) for row in rows if row[name]]
        label = "loss, nats a token (left)" if name == "loss" else f"{name} (right)"
        out += [polyline(points, colour), text(LEFT + 10 + i * 138, HEIGHT - 8, label, "start", colour)]
    out.append(text(LEFT, 16, "Training loss; share right on held-out stories", "start"))
    return "\n".join(out + ["</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv")
    parser.add_argument("svg")
    arguments = parser.parse_args()
    with open(arguments.csv, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(arguments.svg, "w") as file:
        file.write(draw(rows))


if __name__ == "__main__":
    main()
