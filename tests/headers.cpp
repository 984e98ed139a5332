// A program that does nothing: with it the headers that all tests include are compiled, once.
int main() { return 0; }
