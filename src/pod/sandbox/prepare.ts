/** The jobs module that the threads of sandboxes must load. */
export const sandboxJobsModule = new URL('./prepare-jobs.js', import.meta.url);
