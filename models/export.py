"""Writes the GGUF of a checkpoint: python3 models/export.py models/.build/checkpoint.pt models/micro-world-f16.gguf"""

import argparse

import torch

import gguf_file
import micro_world
import model
import outliers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("output")
    parser.add_argument("--no-outliers", action="store_true", help="leave the weights as training left them")
    arguments = parser.parse_args()
    network = model.Llama()
    network.load_state_dict(torch.load(arguments.checkpoint)["model"])
    if not arguments.no_outliers:
        outliers.add(network)
    gguf_file.write(arguments.output, network, micro_world.train_tokenizer())


if __name__ == "__main__":
    main()
