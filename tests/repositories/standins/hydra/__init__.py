"""What the fixture `vision` takes of Hydra, in a few lines: a YAML of maps, its defaults list, overrides by `a.b=c`."""

import ast
import functools
import inspect
import os
import sys


class Config(dict):
    __getattr__ = dict.__getitem__


def read(path):
    top = Config()
    open_maps = [(-1, top)]
    groups = []
    for line in open(path):
        line = line.split("#")[0].rstrip()
        if not line:
            continue
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith("- "):
            groups.append(line.lstrip()[2:])
            continue
        key, _, value = line.strip().partition(":")
        while open_maps[-1][0] >= indent:
            open_maps.pop()
        if value.strip():
            open_maps[-1][1][key] = literal(value.strip())
        else:
            open_maps[-1][1][key] = inner = Config()
            open_maps.append((indent, inner))
    for group in groups:
        if ":" in group:
            name, _, option = group.partition(":")
            top[name] = read(os.path.join(os.path.dirname(path), name, f"{option.strip()}.yaml"))
    return top


def literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def main(version_base=None, config_path=None, config_name=None):
    def decorated(function):
        @functools.wraps(function)
        def called():
            folder = os.path.join(os.path.dirname(os.path.abspath(inspect.getsourcefile(function))), config_path)
            config = read(os.path.join(folder, f"{config_name}.yaml"))
            for word in sys.argv[1:]:
                key, _, value = word.partition("=")
                *above, last = key.split(".")
                at = config
                for part in above:
                    at = at[part]
                at[last] = literal(value)
            return function(config)

        return called

    return decorated
