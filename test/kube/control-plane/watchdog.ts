/** Ends the programs of a control plane when the process that wanted it dies, however it dies. */
import { spawn } from 'node:child_process';

/**
 * Reads its standard input until that ends, which it does when the parent is gone (kill -9 too), and then kills every
 * program with a process id file in the first folder. A process id may have gone to another program since, so the command
 * line must name one of the folders. Then the other folders go.
 */
const script = `
trap '' INT TERM HUP
cat > /dev/null
directory="$1" data="$2"
for file in "$directory"/*.pid; do
  [ -f "$file" ] || continue
  pid=$(cat "$file")
  if [ -r "/proc/$pid/cmdline" ]; then line=$(tr '\\0' ' ' < "/proc/$pid/cmdline"); else line=$(ps -o command= -p "$pid"); fi
  case "$line" in *"$directory"*|*"$data"*) kill -9 "$pid"; rm -f "$file";; esac
done
shift
rm -rf "$@"
`;

/**
 * Once this process has ended, or the watchdog is disposed of, the programs are killed and the folders in `removed` go,
 * the data folder too. The watchdog keeps no process from ending.
 */
export function watchOver(directory: string, dataDirectory: string, removed: readonly string[]): Disposable {
  const watchdog = spawn('sh', ['-c', script, 'watchdog', directory, dataDirectory, ...removed], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return { [Symbol.dispose]: () => watchdog.stdin.end() };
}
