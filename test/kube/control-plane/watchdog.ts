/** Ends the programs of a control plane when the process that wanted it dies, however it dies. */
import { spawn } from 'node:child_process';

/**
 * Reads its standard input until that ends, which it does when the parent is gone (kill -9 too), and then kills every
 * program with a process id file in the folder. A process id may have gone to another program since, so the command
 * line must name the folder. Then both folders go.
 */
const script = `
trap '' INT TERM HUP
cat > /dev/null
for file in "$1"/*.pid; do
  [ -f "$file" ] || continue
  pid=$(cat "$file")
  if [ -r "/proc/$pid/cmdline" ]; then line=$(tr '\\0' ' ' < "/proc/$pid/cmdline"); else line=$(ps -o command= -p "$pid"); fi
  case "$line" in *"$1"*|*"$2"*) kill -9 "$pid";; esac
done
rm -rf "$1" "$2"
`;

/** `directory` and `dataDirectory` are removed once this process has ended. The watchdog keeps no process from ending. */
export function watchOver(directory: string, dataDirectory: string): void {
  const watchdog = spawn('sh', ['-c', script, 'watchdog', directory, dataDirectory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
}
