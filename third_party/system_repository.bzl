"""Gives libraries that the system's package manager installed Bazel labels.

A target of such a repository carries link options only: the headers are in
/usr/include already. Nothing is looked up before a target is built, so a
library that is not installed disturbs only those who use it, and they are told
which package to install.
"""

_LOAD = """\
load("@rules_cc//cc:defs.bzl", "cc_library")
"""

_INSTALLED = _LOAD + """
# Fails, naming the package to install, when the library is not there.
genrule(
    name = "look_for_headers",
    outs = {outs},
    cmd = '''
if [ ! -e {header} ]; then
  echo >&2 "loam: @{name} is not installed: {header} is missing."
  echo >&2 "loam: on Debian: apt-get install {package}"
  exit 1
fi
{commands}''',
    tags = ["no-sandbox"],
)

cc_library(
    name = "installed",
    hdrs = [":look_for_headers"],
    includes = {includes},
    linkopts = {linkopts},
    visibility = ["//:__subpackages__"],
)
"""

_TARGET = """
cc_library(
    name = "{name}",
    linkopts = {linkopts},
    visibility = ["//visibility:public"],
    deps = ["//:installed"],
)
"""

def _system_repository_impl(ctx):
    if ctx.attr.copied_headers:
        # Headers outside the compiler's search path are copied, because a
        # library cannot hand a directory outside the workspace to its users.
        outs = ["include/" + path.split("/")[-1] for path in ctx.attr.copied_headers]
        commands = "cp {} $(RULEDIR)/include/\n".format(" ".join(ctx.attr.copied_headers))
        includes = ["include"]
    else:
        outs = ["installed.h"]
        commands = "touch $@\n"
        includes = []

    build_files = {"": _INSTALLED.format(
        name = ctx.name,
        outs = repr(outs),
        header = ctx.attr.header,
        package = ctx.attr.package,
        commands = commands,
        includes = repr(includes),
        linkopts = repr(ctx.attr.linkopts),
    )}
    for label, linkopts in ctx.attr.targets.items():
        folder, name = label.split(":")
        target = _TARGET.format(name = name, linkopts = repr(linkopts))
        build_files[folder] = build_files.get(folder, _LOAD) + target

    ctx.file("WORKSPACE", "workspace(name = {})\n".format(repr(ctx.name)))
    for folder, content in build_files.items():
        ctx.file((folder + "/" if folder else "") + "BUILD.bazel", content)

system_repository = repository_rule(
    implementation = _system_repository_impl,
    local = True,
    attrs = {
        "package": attr.string(
            doc = "The Debian package that holds the library.",
            mandatory = True,
        ),
        "header": attr.string(
            doc = "A file that is there when the package is installed.",
            mandatory = True,
        ),
        "copied_headers": attr.string_list(
            doc = "Headers that the compiler would not find by itself.",
        ),
        "linkopts": attr.string_list(
            doc = "Link options that every target of the repository needs.",
        ),
        "targets": attr.string_list_dict(
            doc = "From 'folder:name' to the link options only it needs.",
            mandatory = True,
        ),
    },
)
