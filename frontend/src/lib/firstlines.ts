/** The lines of a first run, in Python. They run as they stand: what is copied has to show something before it is understood. */
export function firstLines(experiment: string, project = ""): string {
  const where = [`experiment=${quoted(experiment)}`, ...(project ? [`project=${quoted(project)}`] : [])].join(", ");
  return `import scaleweb_sdk

run = scaleweb_sdk.init(${where}, config={"lr": 1e-3})
lr = run.tunable("lr", 1e-3, low=1e-6, high=1.0, scale="log")
for step in range(1000):
    loss = 1 / (1 + step)  # your training step, with float(lr)
    run.step({"loss": loss})`;
}

/** JSON's strings are Python's too. */
const quoted = (text: string): string => JSON.stringify(text);

/** The project a script has to name: none where the server takes it by itself, which is "default" or the only one a person may write to. */
export const namedProject = (project: string, writable: readonly string[]): string => (project === "default" || (writable.length === 1 && writable[0] === project) ? "" : project);
