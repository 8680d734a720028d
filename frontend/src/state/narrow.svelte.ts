/** Whether the window is as narrow as a phone, for what is left out there and not only put elsewhere. */
import { MediaQuery } from "svelte/reactivity";

const query = new MediaQuery("(max-width: 760px)");

export const narrow = {
  get is(): boolean {
    return query.current;
  },
};
