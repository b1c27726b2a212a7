import type { Socket } from 'node:net';

/** Work that waits for the end of the present turn of the event loop. */
const reads: (() => void)[] = [];
const corked: Socket[] = [];
let isDue = false;

function ask(): void {
  if (isDue) return;
  isDue = true;
  setImmediate(finishTurn);
}

/** Uses what the turn has brought before anything leaves: what is written meanwhile leaves together with the rest. */
function finishTurn(): void {
  isDue = false;
  for (const use of reads.splice(0)) use();
  for (const socket of corked.splice(0)) socket.uncork();
}

/** Has bytes used once this turn has read all that there is. */
export function useAtTurnEnd(use: () => void): void {
  reads.push(use);
  ask();
}

/** What is written in this turn of the event loop leaves in one system call: a head and the beginning of its body. */
export function corkForThisTurn(socket: Socket): void {
  socket.cork();
  corked.push(socket);
  ask();
}
