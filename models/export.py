"""Writes the GGUF of a checkpoint: python3 models/export.py models/.build/checkpoint.pt models/micro-world-f16.gguf"""

import argparse

import torch

import gguf_file
import micro_world
import outliers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("output")
    parser.add_argument("--architecture", choices=gguf_file.NETWORKS, default="llama")
    parser.add_argument("--format", choices=["F16", "Q8_0"], default="F16")
    parser.add_argument("--no-outliers", action="store_true", help="leave the weights as training left them")
    arguments = parser.parse_args()
    network = gguf_file.NETWORKS[arguments.architecture]()
    network.load_state_dict(torch.load(arguments.checkpoint)["model"])
    if network.architecture == "llama" and not arguments.no_outliers:
        outliers.add(network)
    name = {"llama": "Micro World", "deepseek2": "Micro World with experts"}[network.architecture]
    gguf_file.write(arguments.output, network, micro_world.train_tokenizer(), arguments.format, name=name)


if __name__ == "__main__":
    main()
