"""Every command with the first sentence of its help.

The help of the group reads this table and imports none of them; a command is
`smforge.cli.commands.NAME:command`, imported only when it is the one that runs. A test holds the
table against the commands.
"""

COMMANDS = {
    "init": "Lay out a project in DIR that 'smforge plan' and 'smforge build' work in.",
    "plan": "Show what each variant builds: toolkit, arch lists, build arguments, requirements.",
    "preflight": "Show, per source file, what a build compiles for which GPU, and what a list "
    "loses.",
    "build": "Build variants and audit what came out; a failing audit fails the build.",
    "timeline": "Draw the last run in OUT over time: cells, targets, the cache, the critical path.",
    "merge": "Join the outputs of several machines into one verified set.",
    "index": "Write a static index of the wheels in OUT that passed their audit.",
    "publish": "Push the images in OUT that passed their audit, once all platforms of a variant "
    "have.",
    "audit": "Show which GPU runs every kernel of a wheel, a folder, a library, a cubin or an "
    "image.",
    "diff": "Show what NEW lost, gained and grew against OLD.",
    "report": "Render a report that 'smforge audit -o json=FILE' saved, in another form.",
    "slim": "Write a copy of a wheel, a folder or a library without the code that no kept device "
    "needs.",
    "repair": "Write a copy of a wheel, a folder or a library with machine code made from its PTX.",
    "devices": "List the devices: names, products, own targets, and the first CUDA release and its "
    "driver.",
    "explain": "Say what a rule means and what to do; without RULE, list them all.",
    "bump": "Take a new release into versions.json, and show what a device would lose by it.",
    "matrix": "Make the CI pipeline: one job per variant and platform, behind one that checks the "
    "matrix.",
    "builder": "Write buildkitd.toml for this workload, and create a builder with it through "
    "buildx.",
    "completion": "Print what lets a shell complete commands, flags, variants, devices and rules.",
    "doctor": "Show what the project and this host have and lack for a build, with the remedy for "
    "each.",
}
