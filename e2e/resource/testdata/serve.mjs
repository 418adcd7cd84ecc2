// Serves the API route of an example as the Express application it is: node serve.mjs FILE PORT
const [file, port] = process.argv.slice(2);
const { default: app } = await import(file);
app.listen(Number(port), '127.0.0.1');
