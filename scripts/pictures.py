"""Makes the README's pictures from a real run: scripts/pictures.py QUIPU FOLDER

terminal.svg is the stepper's screen, as a terminal shows it; report.png the report, as a browser does. `make pictures`
calls it with what it needs installed.
"""

import codecs
import fcntl
import io
import itertools
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

import pyte
from playwright.sync_api import sync_playwright
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

PROMPT = "Mia has the red ball. Tom is at the lake. Who has the ball?"
COLUMNS, ROWS = 100, 37
KEYS = [b":goto kq_soft_max-2\r", b">>>"]
VIEW = "attention?layer=2&head=3&position=17"
CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]

# The terminal's frame; rich's own names a font on a server. A cell is 12.2 by 24.4.
FRAME = """<svg width="WIDTH" height="HEIGHT" viewBox="0 0 WIDTH HEIGHT" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
  line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="WIDTH" height="HEIGHT" rx="8" fill="#101418"/>
<g transform="translate(10, 8)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
""".replace("WIDTH", f"{COLUMNS * 12.2 + 20:.0f}").replace("HEIGHT", f"{ROWS * 24.4 + 20:.0f}")


def screen(command, keys):
    """What the terminal shows after the keys: a pyte screen."""
    shown = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(shown)
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        os.execv(command[0], command)
    decode = codecs.getincrementaldecoder("utf-8")()

    def read(quiet=1.5):
        while select.select([terminal], [], [], quiet)[0]:
            stream.feed(decode.decode(os.read(terminal, 65536)))

    read()
    for key in keys:
        os.write(terminal, key)
        read()
    os.kill(child, 15)
    os.waitpid(child, 0)
    return shown


def color(name):
    """A colour in rich's words: pyte says names, or six hexadecimal digits."""
    if name == "default":
        return None
    return Color.parse(f"#{name}" if re.fullmatch("[0-9a-f]{6}", name) else name.replace("brown", "yellow"))


def svg(shown):
    """The screen as a drawing."""
    text = Text()
    for row in range(ROWS):
        cells = [shown.buffer[row][column] for column in range(COLUMNS)]
        for (fg, bg, bold, reverse), run in itertools.groupby(cells, lambda c: (c.fg, c.bg, c.bold, c.reverse)):
            style = Style(color=color(fg), bgcolor=color(bg), bold=bold, reverse=reverse)
            text.append("".join(cell.data for cell in run), style)
        text.append("\n")
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    console.print(text, end="")
    drawing = console.export_svg(code_format=FRAME, unique_id="quipu")
    return "\n".join(line.rstrip() for line in drawing.splitlines()) + "\n"


def photograph(page, view, output):
    """A view of the report as a browser shows it."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(f"file://{page}#{view}")
        tab.screenshot(path=output)
        browser.close()


def main():
    quipu, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        trace, page = f"{work}/demo.db", f"{work}/demo.html"
        subprocess.run([quipu, "trace", "--prompt", PROMPT, "--generate", "12", "--output", trace], check=True,
                       capture_output=True)
        subprocess.run([quipu, "report", trace, "--output", page], check=True, capture_output=True)
        (folder / "terminal.svg").write_text(svg(screen([quipu, "step", trace, "--restart"], KEYS)))
        photograph(page, VIEW, folder / "report.png")


if __name__ == "__main__":
    main()
