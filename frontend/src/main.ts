import { mount } from "svelte";
import App from "./App.svelte";
import { language } from "./state/language.svelte";
import "./styles/base.css";

// English is here already; another language's texts come before the first of them is drawn.
void language.start().then(() => mount(App, { target: document.getElementById("app")! }));
